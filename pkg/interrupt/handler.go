package interrupt

// handlerAddress is where the signal handler begins; 0 where there is none.
func handlerAddress() uintptr

// restorerAddress is what the handler returns to; 0 where the kernel brings that itself.
func restorerAddress() uintptr
