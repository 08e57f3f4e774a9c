package kafka

// NewLink makes a link over any far end.
var NewLink = newLink
