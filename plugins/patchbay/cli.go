package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// runCommand is the command for people; it returns the exit code.
func runCommand(args []string) int {
	root := &cobra.Command{
		Use:           "patchbay",
		Short:         "Patch network namespaces into Linux bridges",
		Long:          "patchbay is a CNI plugin: a runtime calls it with CNI_COMMAND set. These commands are for people.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(showCommand(), versionCommand())
	root.SetArgs(args)
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "patchbay:", err)
		return 1
	}
	return 0
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	}
}
