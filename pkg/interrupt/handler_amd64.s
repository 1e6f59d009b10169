#include "textflag.h"

// The handler, as the kernel calls it: DI holds the signal's number. It may use neither Go's
// registers nor its stack, and needs neither.
TEXT ·handler(SB), NOSPLIT|NOFRAME, $0
	MOVL	$1, ·caught(SB)
	RET

// What the handler returns to: rt_sigreturn(2), which ends it.
TEXT ·restorer(SB), NOSPLIT|NOFRAME, $0
	MOVQ	$15, AX
	SYSCALL
	INT	$3

TEXT ·handlerAddress(SB), NOSPLIT, $0-8
	MOVQ	$·handler(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

TEXT ·restorerAddress(SB), NOSPLIT, $0-8
	MOVQ	$·restorer(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
