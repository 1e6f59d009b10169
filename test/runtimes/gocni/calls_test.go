package gocni

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	gocni "github.com/containerd/go-cni"

	"github.com/patchbay-cni/patchbay/test/runtimes/inside"
)

// setting holds the parameters of the library.
type setting struct {
	Bin, Confs string
	Networks   int
}

// sandbox is an argument of the library's calls; nerdctl and ctr pass an empty path to a removal.
type sandbox struct{ ID, Path string }

// TestMain also runs this program inside the hosts of the tests.
func TestMain(m *testing.M) {
	var lib gocni.CNI
	of := func(call func(ctx context.Context, s sandbox) (any, error)) func(json.RawMessage) (any, error) {
		return func(input json.RawMessage) (any, error) {
			var s sandbox
			if err := json.Unmarshal(input, &s); err != nil {
				return nil, err
			}
			if lib == nil {
				return nil, errors.New("nothing is loaded")
			}
			return call(context.Background(), s)
		}
	}
	pod := gocni.WithLabels(map[string]string{"IgnoreUnknown": "1", "K8S_POD_NAMESPACE": "default", "K8S_POD_NAME": "web"})
	inside.Main(m, inside.Calls{
		"load": func(input json.RawMessage) (any, error) {
			var err error
			lib, err = load(input)
			return nil, err
		},
		"setup":    of(func(ctx context.Context, s sandbox) (any, error) { return lib.Setup(ctx, s.ID, s.Path, pod) }),
		"serially": of(func(ctx context.Context, s sandbox) (any, error) { return lib.SetupSerially(ctx, s.ID, s.Path, pod) }),
		"check":    of(func(ctx context.Context, s sandbox) (any, error) { return nil, lib.Check(ctx, s.ID, s.Path, pod) }),
		"remove":   of(func(ctx context.Context, s sandbox) (any, error) { return nil, lib.Remove(ctx, s.ID, s.Path, pod) }),
		"status":   of(func(context.Context, sandbox) (any, error) { return nil, lib.Status() }),
	})
}

// load returns the library with every network of the directory, eth0, eth1 and so on. It has no loopback network,
// which containerd adds first: that is of version 0.3.1, for which the library's Check is always an error.
func load(input json.RawMessage) (gocni.CNI, error) {
	var s setting
	if err := json.Unmarshal(input, &s); err != nil {
		return nil, err
	}
	lib, err := gocni.New(gocni.WithPluginDir([]string{s.Bin}), gocni.WithPluginConfDir(s.Confs),
		gocni.WithMinNetworkCount(s.Networks), gocni.WithPluginMaxConfNum(s.Networks))
	if err != nil {
		return nil, err
	}
	return lib, lib.Load(gocni.WithAllConf)
}
