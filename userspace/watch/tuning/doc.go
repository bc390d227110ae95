// Package tuning tells what to change on a host so that the appliance has what it can: where interrupts and consumers run, how many
// queues the network card uses, how large rings are.
//
//	/proc, /sys --ReadHost, ReadLink--> Host, Link --\
//	the driver --AskDriver--> Driver ----------------+--Advise...--> Finding: what is, whether that is well, the command that changes it
//	a running appliance --> Daemon ------------------/
//
// Reading takes the root of the file system as an fs.FS, and judging is apart from it and pure, so that both are tried with made-up hosts.
// What a host or a driver doesn't have isn't mentioned: a veth has no interrupts, a virtual machine no governor. Nothing is changed here.
//
// What the files mean: Documentation/networking/scaling.rst, Documentation/core-api/irq/irq-affinity.rst and
// Documentation/admin-guide/pm/cpufreq.rst of the kernel.
package tuning
