package squashfs

type xzUnpacker struct{}

func (xzUnpacker) unpack([]byte, []byte) (int, error) { return 0, &Unsupported{"compression by xz"} }
