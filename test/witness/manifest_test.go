package witness_test

import (
	"encoding/json"
	"os"
	"testing"
)

// manifestLayers returns the layers that the manifest of a saved image lists,
// lowest first.
func manifestLayers(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var manifests []struct{ Layers []string }
	if err := json.Unmarshal(text, &manifests); err != nil {
		t.Fatal(err)
	}
	if len(manifests) != 1 || len(manifests[0].Layers) == 0 {
		t.Fatalf("%q lists no layers", path)
	}
	return manifests[0].Layers
}
