package inspect

// ModeText is the formatting of modes.
var ModeText = modeText
