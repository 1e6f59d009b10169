package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/patchbay-cni/patchbay/pkg/cli"
)

func completionCommand() command {
	return command{
		name: "completion", takes: "SHELL", short: "print a script that completes commands in bash, zsh or fish",
		long: `SHELL is bash, zsh or fish. The script completes commands, options, and the names of attachments,
network namespaces and networks of this host; names of attachments need the permission to list them.

  bash   source <(patchbay completion bash), in ~/.bashrc, or
         patchbay completion bash > /usr/share/bash-completion/completions/patchbay
  zsh    patchbay completion zsh > /usr/share/zsh/site-functions/_patchbay
  fish   patchbay completion fish > /usr/share/fish/vendor_completions.d/patchbay.fish`,
		runArgs: completion,
	}
}

// shells returns the names of the shells for which there is a script.
func shells() []string { return []string{"bash", "fish", "zsh"} }

// completion prints the script of a shell. Every script passes the words of the command line to completeWord, and takes each line of
// its output as a word, without expansion.
func completion(out io.Writer, args []string) error {
	shell, err := one("completion", "shell", args)
	if err != nil {
		return err
	}
	script := map[string]string{
		"bash": `# bash completion for patchbay
_patchbay() {
	mapfile -t COMPREPLY < <(patchbay __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _patchbay patchbay
`,
		"zsh": `#compdef patchbay
_patchbay() {
	local -a found
	found=("${(@f)$(patchbay __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ -n ${found[1]} ]]; then compadd -a found; else _files; fi
}
if [[ ${funcstack[1]} = _patchbay ]]; then _patchbay "$@"; else compdef _patchbay patchbay; fi
`,
		"fish": `# fish completion for patchbay
complete -c patchbay -a '(patchbay __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
	}[shell]
	if script == "" {
		return fmt.Errorf("no completion for shell %q%s; use %s", shell, cli.DidYouMean(shell, shells()), strings.Join(shells(), ", "))
	}
	_, err = io.WriteString(out, script)
	return err
}
