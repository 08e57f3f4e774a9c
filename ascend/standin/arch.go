package standin

import "runtime"

const hostArch = runtime.GOARCH
