// Package pace spreads packets evenly over time, so that a receiver with a small buffer sees no bursts.
package pace
