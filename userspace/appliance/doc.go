// Package appliance is a whole binrepd: it composes the ways in, the table, the ways out and everything that watches them.
// `binrepd run` is this package and flags.
//
//	Open     takes the sockets, loads the XDP program, opens the folders. Packets wait from now on.
//	Run      restores the table, attaches the program, answers commands, applies packets
//	         -- until ctx ends, then: detach, apply what has arrived, save, final account
//	Close    sends what waits for backups, and frees everything
//
// Open and Run take the parts from the table outwards, and shut them down from the interfaces inwards, so that the
// appliance applies every packet that it took. Several appliances may be in one process: nothing here is global, except
// for what Config.OwnProcess allows.
//
//	config, validate, host, memory   settings, and what they need of the host
//	input, attach, allow, workers    the ways in: sockets and rings, allowed sources, CPUs of the workers
//	output, syncs, destination       the ways out: backups, syncs
//	keeper, survive, file, recorder  what outlives the process: saved table, pinned rings, save files, recording
//	status, progress, metrics, page  what others see of it
//	supervisor, privilege            the process: systemd, capabilities
//
// Errors and log lines name a setting as the flag of `binrepd run`, because users read them: "--replicate-to a:b: ...".
package appliance
