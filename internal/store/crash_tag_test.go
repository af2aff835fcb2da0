//go:build crash

package store_test

// crashes says that the store was built to kill its process by itself.
const crashes = true
