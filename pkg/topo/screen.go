package topo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Screen draws one picture after another on a terminal, and highlights the lines that the picture before did not have.
type Screen struct {
	since map[string]time.Time // when each line of the last picture was new; zero for those of the first one
}

// Moment is what a picture on a terminal has besides its view.
type Moment struct {
	Title string // the line above it
	Rows  int    // of the terminal; 0 if that is not known
	Now   time.Time
}

// highlighted is how long a new line is highlighted.
const highlighted = 3 * time.Second

// Escape sequences of terminals (ECMA-48, and the private modes of xterm).
const (
	// EnterScreen switches to the alternate screen and hides the cursor, LeaveScreen restores both.
	EnterScreen = "\x1b[?1049h\x1b[?25l"
	LeaveScreen = "\x1b[?25h\x1b[?1049l"

	home      = "\x1b[H"
	eraseLine = "\x1b[K" // from the cursor on
	eraseRest = "\x1b[J" // the screen, from the cursor on
	reverse   = "\x1b[7m"
)

// Draw writes the picture of a view. It returns when the next highlight ends, the zero Time if no line is highlighted. Errors are those
// of w.
func (s *Screen) Draw(w io.Writer, v *View, style Style, m Moment) (until time.Time, err error) {
	p, style := planOf(v, style)
	picture := p.rows()
	seen := map[string]time.Time{}
	added := 0
	for i, l := range picture {
		key := l.content()
		since, known := s.since[key]
		if !known && s.since != nil && key != "" {
			since = m.Now
			added++
		}
		seen[key] = since
		if age := m.Now.Sub(since); !since.IsZero() && age < highlighted {
			picture[i] = l.highlight()
			if end := since.Add(highlighted); until.IsZero() || end.Before(until) {
				until = end
			}
		}
	}
	s.since = seen
	if added > 0 {
		m.Title += fmt.Sprintf(", %s new", counted(added, "line"))
	}
	return until, s.write(w, append([]row{text(m.Title, plain), nil}, picture...), style, m.Rows)
}

// write replaces the content of the terminal. Without colours only the highlight remains of the tones.
func (s *Screen) write(w io.Writer, picture []row, style Style, rows int) error {
	if rows > 1 && len(picture) > rows-1 {
		more := len(picture) - (rows - 2)
		picture = append(picture[:rows-2:rows-2], text(fmt.Sprintf("%d more lines (--bridge, --network)", more), wrong))
	}
	if !style.Color {
		for _, l := range picture {
			l.bare()
		}
		style.Color = true
	}
	var b strings.Builder
	b.WriteString(home)
	for _, l := range picture {
		l.fit(min(len(l), style.Width)).trimmed().append(&b, style)
		b.WriteString(eraseLine + "\n")
	}
	b.WriteString(eraseRest)
	_, err := io.WriteString(w, b.String())
	return err
}

// content returns the characters of a row without spaces and the frames of boxes, which move when something else is new.
func (l row) content() string {
	var b strings.Builder
	for _, c := range l {
		if c.r != ' ' && c.t != frame {
			b.WriteRune(c.r)
		}
	}
	return b.String()
}

// highlight returns a copy in which everything but spaces and the frames of boxes is highlighted.
func (l row) highlight() row {
	marked := append(row{}, l...)
	for i := range marked {
		if c := &marked[i]; c.r != ' ' && c.t != frame {
			c.t |= changed
		}
	}
	return marked
}

// bare removes all tones but the highlight.
func (l row) bare() {
	for i := range l {
		l[i].t &= changed
	}
}
