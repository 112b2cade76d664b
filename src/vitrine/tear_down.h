// The end of a machine, whenever it comes: after the main process has ended, in the middle of a run (time-out, Ctrl-C,
// host limit, deadlock), or before the first thread ran.
#pragma once

namespace vitrine {

class Machine;

// Terminates every process and lets the suspended services of their threads end with the status of their termination,
// without running guest code. Afterwards no thread and no service frame is left, and all address spaces are empty.
// Nobody hears of it: listeners of the trace, the service trace and notices are detached first. The machine may be half
// made.
void tear_down(Machine& machine);

}  // namespace vitrine
