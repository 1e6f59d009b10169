package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// attachment is what `patchbay inspect` prints of an attachment, and CHECK needs.
type attachment struct {
	HostLink struct{ Name, MAC string }
	Record   struct {
		Network, ContainerID, Ifname, Netns, Bridge, BridgeMAC, MAC string

		Addresses []struct{ Address, Gateway string }
		Publish   struct {
			Ports []struct {
				Protocol                string
				HostPort, ContainerPort int
			}
		}
	}
}

// checkAll calls CHECK as a runtime does, and prints how many passed.
func checkAll(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var list struct {
		CNIVersion, Name string
		Plugins          []map[string]any
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	all, err := attachments()
	if err != nil {
		return err
	}
	passed := 0
	for _, a := range all {
		if a.Record.Network != list.Name {
			continue
		}
		conf := list.Plugins[0]
		conf["cniVersion"], conf["name"] = list.CNIVersion, list.Name
		conf["prevResult"], conf["runtimeConfig"] = a.result(list.CNIVersion), map[string]any{"portMappings": a.mappings()}
		if err := a.check(conf); err != nil {
			return fmt.Errorf("CHECK of %s: %w", a.Record.ContainerID, err)
		}
		passed++
	}
	fmt.Println(passed)
	return nil
}

// attachments returns all of the host.
func attachments() (all []attachment, err error) {
	names, err := exec.Command("patchbay", "ls", "-o", "json").Output()
	if err != nil {
		return nil, err
	}
	var listed []struct{ Name string }
	if err := json.Unmarshal(names, &listed); err != nil {
		return nil, err
	}
	args := []string{"inspect", "-o", "json"}
	for _, one := range listed {
		args = append(args, one.Name)
	}
	text, err := exec.Command("patchbay", args...).Output()
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal(text, &all)
}

// result is the result of the ADD, which a runtime keeps.
func (a attachment) result(version string) map[string]any {
	r := a.Record
	var ips, routes []map[string]any
	for _, one := range r.Addresses {
		ips = append(ips, map[string]any{"address": one.Address, "gateway": one.Gateway, "interface": 2})
		routes = append(routes, map[string]any{"dst": "0.0.0.0/0", "gw": one.Gateway})
	}
	return map[string]any{
		"cniVersion": version, "ips": ips, "routes": routes, "interfaces": []map[string]any{
			{"name": r.Bridge, "mac": r.BridgeMAC}, {"name": a.HostLink.Name, "mac": a.HostLink.MAC}, {"name": r.Ifname, "mac": r.MAC, "sandbox": r.Netns},
		},
	}
}

// mappings are the published ports.
func (a attachment) mappings() []map[string]any {
	mappings := []map[string]any{}
	for _, p := range a.Record.Publish.Ports {
		mappings = append(mappings, map[string]any{"hostPort": p.HostPort, "containerPort": p.ContainerPort, "protocol": p.Protocol})
	}
	return mappings
}

func (a attachment) check(conf map[string]any) error {
	text, err := json.Marshal(conf)
	if err != nil {
		return err
	}
	r := a.Record
	cmd := exec.Command("/opt/cni/bin/patchbay")
	cmd.Env = []string{"CNI_COMMAND=CHECK", "CNI_CONTAINERID=" + r.ContainerID, "CNI_NETNS=" + r.Netns, "CNI_IFNAME=" + r.Ifname, "CNI_PATH=/opt/cni/bin"}
	cmd.Stdin = bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}
