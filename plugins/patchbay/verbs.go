package main

import (
	"bytes"
	"context"
	"io"

	"github.com/patchbay-cni/patchbay/pkg/attach"
	"github.com/patchbay-cni/patchbay/pkg/chained"
	"github.com/patchbay-cni/patchbay/pkg/config"
	"github.com/patchbay-cni/patchbay/pkg/loopback"
	"github.com/patchbay-cni/patchbay/pkg/names"
)

// plugin is the verbs of one plugin.
type plugin struct {
	add                    func(context.Context, attach.Request, io.Writer) error
	check, del, status, gc func(context.Context, attach.Request) error
}

// pluginFor returns the plugin that a caller wants: the one under whose name this program was started. Under another name it is the main
// plugin, unless the configuration is that of a chained plugin, as if a wrapper started this program.
func pluginFor(file string, stdin []byte) plugin {
	wanted, known := names.Of(file)
	if !known && !bytes.Contains(stdin, []byte(`"`+config.TypeName+`"`)) {
		wanted, known = names.Of(config.ParseLenient(stdin).Type)
		known = known && (wanted.Kind == names.Chained || wanted.Kind == names.Loopback)
	}
	chain, isChained := chained.Of(wanted.Name)
	switch {
	case !known:
	case isChained:
		return plugin{chain.Add, chain.Check, chain.Del, chain.Status, chain.GC}
	case wanted.Kind == names.Loopback:
		return plugin{loopback.Add, loopback.Check, loopback.Del, loopback.Status, loopback.GC}
	case wanted.Name == names.Static:
		return plugin{attach.AddStatic, attach.CheckStatic, attach.ForgetStatic, attach.StatusStatic, attach.ForgetStatic}
	}
	return plugin{attach.Add, attach.Check, attach.Del, attach.Status, attach.GC}
}

// run calls a verb. It does not catch signals: runtimes kill a plugin with SIGKILL, after which DEL or the next ADD
// removes what is left, so a SIGTERM may end it in the same way. os/signal would cost every ADD a
// third of a millisecond (two threads).
func (p plugin) run(command string, req attach.Request, out io.Writer) error {
	ctx := context.Background()
	switch command {
	case "ADD":
		return p.add(ctx, req, out)
	case "CHECK":
		return p.check(ctx, req)
	case "DEL":
		return p.del(ctx, req)
	case "STATUS":
		return p.status(ctx, req)
	}
	return p.gc(ctx, req)
}
