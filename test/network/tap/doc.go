// Package tap tests attachments with a tap: frames of a guest, who may open the tap, and what commands and verbs know of it.
package tap
