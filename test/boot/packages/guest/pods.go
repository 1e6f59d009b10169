package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// callCRI calls containerd as a kubelet does.
func callCRI(call string, args []string) error {
	conn, err := grpc.NewClient("unix:///run/containerd/containerd.sock", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	client := runtime.NewRuntimeServiceClient(conn)
	switch {
	case call == "ready" && len(args) == 0:
		return isReady(ctx, client)
	case call == "run" && len(args) == 1:
		return runPod(ctx, client, args[0])
	case call == "remove" && len(args) == 1:
		return removePod(ctx, client, args[0])
	}
	return errors.New("usage: guest pod ready | run NAME | remove ID")
}

// isReady fails until runtime and network are ready.
func isReady(ctx context.Context, client runtime.RuntimeServiceClient) error {
	answer, err := client.Status(ctx, &runtime.StatusRequest{})
	if err != nil {
		return err
	}
	for _, c := range answer.GetStatus().GetConditions() {
		if !c.GetStatus() {
			return fmt.Errorf("%s: %s", c.GetType(), c.GetMessage())
		}
	}
	return nil
}

// runPod prints the ID and the address of a new sandbox, and the path of its network namespace.
func runPod(ctx context.Context, client runtime.RuntimeServiceClient, name string) error {
	config := &runtime.PodSandboxConfig{Metadata: &runtime.PodSandboxMetadata{Name: name, Uid: "uid-" + name, Namespace: "default"}, Hostname: name, Linux: &runtime.LinuxPodSandboxConfig{}}
	answer, err := client.RunPodSandbox(ctx, &runtime.RunPodSandboxRequest{Config: config})
	if err != nil {
		return err
	}
	id := answer.GetPodSandboxId()
	status, err := client.PodSandboxStatus(ctx, &runtime.PodSandboxStatusRequest{PodSandboxId: id, Verbose: true})
	if err != nil {
		return err
	}
	var info struct {
		RuntimeSpec struct {
			Linux struct{ Namespaces []struct{ Type, Path string } }
		}
	}
	if err := json.Unmarshal([]byte(status.GetInfo()["info"]), &info); err != nil {
		return err
	}
	for _, space := range info.RuntimeSpec.Linux.Namespaces {
		if space.Type == "network" {
			return json.NewEncoder(os.Stdout).Encode(map[string]string{"ID": id, "IP": status.GetStatus().GetNetwork().GetIp(), "Netns": space.Path})
		}
	}
	return errors.New("the sandbox has no network namespace")
}

// removePod stops and removes a sandbox.
func removePod(ctx context.Context, client runtime.RuntimeServiceClient, id string) error {
	if _, err := client.StopPodSandbox(ctx, &runtime.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
		return err
	}
	_, err := client.RemovePodSandbox(ctx, &runtime.RemovePodSandboxRequest{PodSandboxId: id})
	return err
}
