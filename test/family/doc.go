// Package family holds the kinds of network whose attachments are killed, interrupted and given
// faults, each with the host and the container that it needs, and the calls that a runtime makes
// for them. A later kind of attachment is a row in All. It never decides what is right after a
// call but by the leak oracle of nettest and what that cannot know.
package family
