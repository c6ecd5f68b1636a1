package pxos

import (
	"fmt"
	"strconv"
	"strings"
)

// Debug, Info, Warn and Error add a line to the run's log, which the caller gets
// with the result and the host keeps in its journal. After the message follow keys
// and values in turn, as in log/slog: Info("opened", "path", p, "bytes", n) logs
// "opened path=a.txt bytes=12". Values with spaces or quotes are quoted. A line
// longer than [MaxLogLine] is cut. Logging never fails a program.
func Debug(msg string, keyvals ...any) { logLine(levelDebug, msg, keyvals) }

// Info logs at the level of ordinary events; see [Debug].
func Info(msg string, keyvals ...any) { logLine(levelInfo, msg, keyvals) }

// Warn logs what a person should look at; see [Debug].
func Warn(msg string, keyvals ...any) { logLine(levelWarn, msg, keyvals) }

// Error logs what went wrong, without ending the program; see [Debug]. To end it,
// return an error.
func Error(msg string, keyvals ...any) { logLine(levelError, msg, keyvals) }

func logLine(level uint32, msg string, keyvals []any) {
	if len(keyvals) > 0 {
		var sb strings.Builder
		sb.WriteString(msg)
		for i := 0; i < len(keyvals); i += 2 {
			sb.WriteByte(' ')
			if i+1 == len(keyvals) {
				sb.WriteString("!NOVALUE=" + quoted(text(keyvals[i])))
				break
			}
			sb.WriteString(text(keyvals[i]) + "=" + quoted(text(keyvals[i+1])))
		}
		msg = sb.String()
	}
	if len(msg) > MaxLogLine {
		msg = msg[:MaxLogLine]
	}
	// The host refuses text that is not UTF-8; also the cut above can split a letter.
	pxosLog(level, strings.ToValidUTF8(msg, "\uFFFD"))
}

func text(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case int:
		return strconv.Itoa(x)
	case bool:
		return strconv.FormatBool(x)
	}
	return fmt.Sprint(v)
}

func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \"=\n\t") {
		return strconv.Quote(s)
	}
	return s
}
