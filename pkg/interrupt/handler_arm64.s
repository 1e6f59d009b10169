#include "textflag.h"

// The handler, as the kernel calls it. It may use neither Go's stack nor g; R0 and R1 are given
// back by the kernel when it returns.
TEXT ·handler(SB), NOSPLIT|NOFRAME, $0
	MOVD	$·caught(SB), R0
	MOVW	$1, R1
	MOVW	R1, (R0)
	RET

TEXT ·handlerAddress(SB), NOSPLIT, $0-8
	MOVD	$·handler(SB), R0
	MOVD	R0, ret+0(FP)
	RET

// On arm64 the kernel brings what ends a handler itself.
TEXT ·restorerAddress(SB), NOSPLIT, $0-8
	MOVD	ZR, ret+0(FP)
	RET
