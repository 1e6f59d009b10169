#!/usr/bin/env bash
# Check any CNI plugin with the conformance kit (docs/conformance.md): PLUGIN=path PROFILE=name-or-file [CNI_BIN=dirs] [RUN=regexp]
# [REPORT=file] [CNI_VERSION=x.y.z] [FAIL_ON=MUST|SHOULD|practice].
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_root
need_tools ip nft
if [[ -z ${PLUGIN:-} ]]; then
	say "PLUGIN is not set: build and check bin/patchbay"
	build_patchbay
	PLUGIN=$PATCHBAY_BIN PROFILE=${PROFILE:-patchbay}
fi
build_test conformance/cniconform
as_root "$PATCHBAY_CACHE_BIN/cniconform" -plugin "$PLUGIN" -profile "${PROFILE:-}" ${CNI_BIN:+-path "$CNI_BIN"} ${RUN:+-run "$RUN"} \
	${REPORT:+-report "$REPORT"} ${CNI_VERSION:+-cni-version "$CNI_VERSION"} -fail-on "${FAIL_ON:-MUST}"
