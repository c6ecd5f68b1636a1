package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// addHelp puts commands in the place of cobra's own help and completion, which take a
// mistyped name for a success.
func (a *app) addHelp(root *cobra.Command) {
	help := a.command("help [COMMAND]", "Help about any command", "Shows how a command is used.", "  pxos-host help run")
	help.ValidArgsFunction = func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		var names []string
		if cmd, rest, err := root.Find(args); err == nil && len(rest) == 0 {
			for _, sub := range cmd.Commands() {
				if sub.IsAvailableCommand() && strings.HasPrefix(sub.Name(), begun) {
					names = append(names, sub.Name()+"\t"+sub.Short)
				}
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	help.RunE = func(_ *cobra.Command, args []string) error {
		cmd, rest, err := root.Find(args)
		if err != nil || len(rest) > 0 {
			return usagef("pxos-host help lists the commands", "there is no command %q", strings.Join(args, " "))
		}
		cmd.InitDefaultHelpFlag()
		cmd.InitDefaultVersionFlag()
		return cmd.Help()
	}
	root.SetHelpCommand(help)
	if root.CompletionOptions.DisableDefaultCmd {
		return
	}
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		var shells []string
		for _, sub := range cmd.Commands() {
			shells = append(shells, sub.Name())
		}
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(_ *cobra.Command, args []string) error {
			hint := "the shells are " + strings.Join(shells, ", ")
			if len(args) == 0 {
				return usagef(hint, "completion needs the name of a shell")
			}
			return usagef(hint, "there is no completion for %q", args[0])
		}
	}
}

// complete makes the shell complete the values of a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	// The error is that of a flag that does not exist, or has values already.
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err)
	}
}
