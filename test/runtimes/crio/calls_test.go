package crio

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/cri-o/ocicni/pkg/ocicni"
	"github.com/sirupsen/logrus"

	"github.com/patchbay-cni/patchbay/test/runtimes/inside"
)

// setting holds the parameters of the library.
type setting struct{ Bin, Confs string }

// polls is the result of polling STATUS.
type polls struct {
	Count int
	Error string // the first one
}

// runtime is the part of CRI-O: the library, and its polling of STATUS.
type runtime struct {
	setting
	ocicni.CNIPlugin
	stop chan struct{}
	done chan polls
}

// TestMain also runs this program inside the hosts of the tests.
func TestMain(m *testing.M) {
	logrus.SetLevel(logrus.FatalLevel) // errors are in the answers
	r := &runtime{}
	inside.Main(m, inside.Calls{
		"load": func(input json.RawMessage) (any, error) {
			if err := json.Unmarshal(input, &r.setting); err != nil {
				return nil, err
			}
			var err error
			r.CNIPlugin, err = ocicni.InitCNI("", r.Confs, r.Bin)
			return nil, err
		},
		"set up":     r.with(func(pod ocicni.PodNetwork) error { _, err := r.SetUpPod(pod); return err }),
		"tear down":  r.with(func(pod ocicni.PodNetwork) error { return r.TearDownPod(pod) }),
		"check":      r.with(func(pod ocicni.PodNetwork) error { _, err := r.GetPodNetworkStatus(pod); return err }),
		"status":     func(json.RawMessage) (any, error) { return nil, r.Status() },
		"poll":       func(json.RawMessage) (any, error) { return nil, r.poll() },
		"polled":     func(json.RawMessage) (any, error) { return r.polled() },
		"gc":         r.gc,
		"gc of none": func(json.RawMessage) (any, error) { return nil, r.gcOfNone() },
	})
}

func (r *runtime) with(call func(ocicni.PodNetwork) error) func(json.RawMessage) (any, error) {
	return func(input json.RawMessage) (any, error) {
		var pod ocicni.PodNetwork
		if err := json.Unmarshal(input, &pod); err != nil {
			return nil, err
		}
		return nil, call(pod)
	}
}

// gc keeps the pods that it is given. CRI-O passes null when it starts, and for a network without pods.
func (r *runtime) gc(input json.RawMessage) (any, error) {
	var pods []*ocicni.PodNetwork
	if err := json.Unmarshal(input, &pods); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // CRI-O's
	defer cancel()
	return nil, r.GC(ctx, pods)
}

// gcOfNone passes an empty list: no attachment is valid.
func (r *runtime) gcOfNone() error {
	files, err := libcni.ConfFiles(r.Confs, []string{".conflist"})
	if err != nil {
		return err
	}
	for _, file := range files {
		list, err := libcni.ConfListFromFile(file)
		if err != nil {
			return err
		}
		args := &libcni.GCArgs{ValidAttachments: []types.GCAttachment{}}
		if err := libcni.NewCNIConfig([]string{r.Bin}, nil).GCNetworkList(context.Background(), list, args); err != nil {
			return errors.Join(errors.New(filepath.Base(file)), err)
		}
	}
	return nil
}

// poll calls STATUS repeatedly, as CRI-O does while it runs, until polled reads the result.
func (r *runtime) poll() error {
	if r.stop != nil {
		return errors.New("it is polled already")
	}
	stop, done := make(chan struct{}), make(chan polls)
	r.stop, r.done = stop, done
	go func() {
		var p polls
		often := time.NewTicker(10 * time.Millisecond)
		defer often.Stop()
		for {
			select {
			case <-stop:
				done <- p
				return
			case <-often.C:
			}
			p.Count++
			if err := r.Status(); err != nil && p.Error == "" {
				p.Error = err.Error()
			}
		}
	}()
	return nil
}

func (r *runtime) polled() (polls, error) {
	if r.stop == nil {
		return polls{}, errors.New("it is not polled")
	}
	close(r.stop)
	r.stop = nil
	return <-r.done, nil
}
