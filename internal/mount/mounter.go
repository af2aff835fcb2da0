package mount

// Options are how a Mounter works.
type Options struct {
	// Features are the calls that may be used: what Detect returned, or fewer.
	Features Features
	// Staging is a folder, made if it is missing, over which trees wait until
	// they are attached. It is used on kernels before 5.2 only, in the mount
	// namespace of the caller; without it such kernels are refused.
	Staging string
}

// Mounter makes mounts. It is for one goroutine at a time, which stays in one
// mount namespace. Close ends what it holds; trees that were attached stay.
type Mounter struct {
	features Features
	staging  string
	stage    *stage
}

// New returns a Mounter. Nothing is mounted yet.
func New(o Options) *Mounter {
	return &Mounter{features: o.Features, staging: o.Staging}
}

// Close takes down what waits in the staging place. Trees of this Mounter that
// were not attached anywhere are gone afterwards.
func (m *Mounter) Close() error {
	if m.stage == nil {
		return nil
	}
	err := m.stage.close()
	m.stage = nil
	return err
}

// Features returns the calls that m uses.
func (m *Mounter) Features() Features { return m.features }

// detached reports whether trees can stay what open_tree and fsmount return:
// mounts that are nowhere, and yet can be layers and be mounted on.
func (m *Mounter) detached() bool {
	return m.features.Trees && m.features.Setattr && m.features.Detached && m.features.LowerFile
}

// place returns the staging place, which is made when it is first needed.
func (m *Mounter) place() (*stage, error) {
	if m.stage != nil {
		return m.stage, nil
	}
	var s *stage
	var err error
	if m.features.Trees {
		s, err = newStage()
	} else {
		s, err = newStageAt(m.staging)
	}
	if err != nil {
		return nil, err
	}
	m.stage = s
	return s, nil
}
