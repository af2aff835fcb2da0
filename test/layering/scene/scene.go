// Package scene makes small systems for the differential tests of merging, has
// programs merge in them, and says what can be seen of them afterwards.
//
// It runs as root inside of a namespace that is thrown away: everything that it
// mounts, and every loop device that it takes, ends with that.
package scene

// Root is where a system lies that isn't the running one.
const Root = "/host"

// Images is the folder with the files that the word "image" copies.
const Images = "/w/images"

// Case is a system, and what is done with it.
type Case struct {
	Name string `json:"name"`
	// Program is systemd-sysext or systemd-confext.
	Program string `json:"program"`
	// Scene makes the system; see Do.
	Scene []string `json:"scene"`
	// Steps are done one after the other.
	Steps []Step `json:"steps"`
	// Running says that the system is the running one, "/", with empty /run,
	// /var/lib and /srv, instead of one at Root.
	Running bool `json:"running"`
	// Look are the paths whose trees are told; none is everything, which only a
	// system at Root has little enough of.
	Look []string `json:"look"`
	// List has what is found listed, too.
	List bool `json:"list"`
}

// Step is one call of the program, and what is done before it.
type Step struct {
	Do  []string `json:"do"`
	Run []string `json:"run"`
	Env []string `json:"env"`
}

// Seen is what can be seen after a step.
type Seen struct {
	// Done are the results of Step.Do, "" or an error's name.
	Done   []string `json:"done"`
	Exit   int      `json:"exit"`
	Stdout string   `json:"stdout"`
	Stderr string   `json:"stderr"`
	// Status and List are what the program says in JSON, with their standard error
	// if they fail.
	Status string `json:"status"`
	List   string `json:"list"`
	// Mounts are the lines of mountinfo for the system.
	Mounts []Mount `json:"mounts"`
	// Tree has a line for every path.
	Tree []string `json:"tree"`
	// Untouched says that the tree is what it was at first, and nothing in it was
	// changed.
	Untouched bool `json:"untouched"`
}

// Mount is a mount below the system's root.
type Mount struct {
	Point  string `json:"point"` // absolute, below the system's root
	Root   string `json:"root"`
	Type   string `json:"type"`
	Source string `json:"source"`
	Flags  string `json:"flags"`
	Super  string `json:"super"`
}

// Answer is what was seen of a case; Error is that it could not be made.
type Answer struct {
	Name  string `json:"name"`
	Steps []Seen `json:"steps"`
	Error string `json:"error"`
}
