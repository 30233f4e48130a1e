"""Run as a script: become another program that the kernel kills when the parent process ends, however it ends.

`python -I -S bound_exec.py PARENT_PID PROGRAM ARGUMENT…`

A script between the two processes, because code between fork and exec (`preexec_fn`) can deadlock in a process that has
threads. It costs 15 ms. Linux only, as are the services.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != int(parent):
        sys.exit("the parent process ended before its child began")
    os.execv(command[0], command)  # noqa: S606 - to become this program is what the script is for


if __name__ == "__main__":
    main()
