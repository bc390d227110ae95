// Package takeover makes a node of a cluster the active one for a sharing tag, in steps of which each must succeed:
//
//	table --> node --> tag --> sockets --> send --> activate
//
// The first four only look. What is sent and activated is for real only with an Activate; without one, send is a dry run.
// A step that fails ends the takeover, and says what to do. A node that is made active before it has the calls would
// handle them as unknown, so activate is the last step.
package takeover
