// Package vedette holds the nouns of the hub: who we protect, what they expose,
// what sources say, and what follows from it. It imports the standard library only.
package vedette
