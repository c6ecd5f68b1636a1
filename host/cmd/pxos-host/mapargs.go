package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// takesNumbers is the annotation of commands among whose arguments are numbers that may
// be negative.
const takesNumbers = "numbers"

// numbers marks a command.
func numbers(cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{takesNumbers: ""}
	return cmd
}

// negatives arranges a command line so that -5 is a number, not a flag, for commands
// that were marked with numbers: flags first, then --, then the arguments in their order.
// All other command lines stay as they are.
func negatives(root *cobra.Command, args []string) []string {
	found := false
	for _, arg := range args {
		found = found || isNegative(arg)
	}
	if !found {
		return args
	}
	cmd, rest, err := root.Find(args)
	if err != nil {
		return args
	}
	if _, ok := cmd.Annotations[takesNumbers]; !ok {
		return args
	}
	cmd.InheritedFlags() // makes the flags of the commands above known to cmd.Flags
	out := strings.Fields(cmd.CommandPath())[1:]
	var plain []string
	for i := 0; i < len(rest); i++ {
		arg := rest[i]
		if arg == "--" {
			plain = append(plain, rest[i+1:]...)
			break
		}
		if isNegative(arg) || len(arg) < 2 || arg[0] != '-' {
			plain = append(plain, arg)
			continue
		}
		out = append(out, arg)
		if hasValue(cmd, arg) && i+1 < len(rest) {
			i++
			out = append(out, rest[i])
		}
	}
	return append(append(out, "--"), plain...)
}

// isNegative reports whether an argument can only mean a negative number: a dash and
// digits.
func isNegative(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && strings.Trim(arg[1:], "0123456789") == ""
}

// hasValue reports whether the argument after a flag is the flag's value.
func hasValue(cmd *cobra.Command, arg string) bool {
	if strings.Contains(arg, "=") {
		return false
	}
	if name, ok := strings.CutPrefix(arg, "--"); ok {
		f := cmd.Flags().Lookup(name)
		return f != nil && f.NoOptDefVal == ""
	}
	if len(arg) != 2 {
		return false
	}
	f := cmd.Flags().ShorthandLookup(arg[1:])
	return f != nil && f.NoOptDefVal == ""
}
