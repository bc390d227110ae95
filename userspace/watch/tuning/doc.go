// Package tuning says what to change on a host so that the appliance runs at its best: where interrupts and consumers
// run, how many queues the network card uses, how large the rings are.
//
//	/proc, /sys --ReadHost, ReadLink--> Host, Link --\
//	the driver --AskDriver--> Driver ----------------+--Advise...--> Finding: the value, whether it is good, and a command
//	a running appliance --> Daemon ------------------/
//
// The functions that read take the root of the file system as an fs.FS. The functions that judge are separate and pure.
// So tests can use invented hosts. Things that a host or a driver doesn't have are not mentioned: a veth has no
// interrupts, a virtual machine no governor. This package changes nothing on the host.
//
// The kernel documents the files in Documentation/networking/scaling.rst, Documentation/core-api/irq/irq-affinity.rst
// and Documentation/admin-guide/pm/cpufreq.rst.
package tuning
