package config

// program is a compiled pattern: a nondeterministic automaton, of which match follows all states at once.
// The time is that of the length of the text times the number of instructions.
type program struct {
	code    []instruction
	tooLong bool
}

// instruction is a state: one that reads a byte, or one that goes on without reading.
type instruction struct {
	class *oneByte // reads a byte of the class, and goes on at the next instruction
	at    byte     // '^' or '$': goes on at the next instruction if the position is at the start, or the end
	jumps []int    // goes on at each of these, relative to this one, if class is nil and at 0
	final bool     // the pattern matches
}

// maxInstructions is the largest program: repetitions with counts are copies.
const maxInstructions = 20000

// compilePattern compiles a pattern.
func compilePattern(root pattern) (*program, error) {
	p := &program{}
	root.compile(p)
	p.emit(instruction{final: true})
	if p.tooLong {
		return nil, errTooComplex
	}
	return p, nil
}

// emit appends an instruction and returns its place.
func (p *program) emit(i instruction) int {
	if len(p.code) >= maxInstructions {
		p.tooLong = true
		return 0
	}
	p.code = append(p.code, i)
	return len(p.code) - 1
}

func (b *oneByte) compile(p *program) { p.emit(instruction{class: b}) }

func (a anchor) compile(p *program) {
	at := byte('^')
	if a.atEnd {
		at = '$'
	}
	p.emit(instruction{at: at})
}

func (s sequence) compile(p *program) {
	for _, one := range s {
		one.compile(p)
	}
}

func (a alternative) compile(p *program) {
	fork := p.emit(instruction{})
	var leave []int
	for i, one := range a {
		p.code[fork].jumps = append(p.code[fork].jumps, len(p.code)-fork)
		one.compile(p)
		if i < len(a)-1 {
			leave = append(leave, p.emit(instruction{}))
		}
	}
	for _, from := range leave {
		p.code[from].jumps = []int{len(p.code) - from}
	}
}

func (r repeat) compile(p *program) {
	for range r.min {
		if p.tooLong {
			return
		}
		r.what.compile(p)
	}
	if r.max < 0 {
		fork := p.emit(instruction{})
		r.what.compile(p)
		back := p.emit(instruction{})
		p.code[back].jumps = []int{fork - back}
		p.code[fork].jumps = []int{1, len(p.code) - fork}
		return
	}
	var forks []int
	for range r.max - r.min {
		if p.tooLong {
			return
		}
		forks = append(forks, p.emit(instruction{}))
		r.what.compile(p)
	}
	for _, fork := range forks {
		p.code[fork].jumps = []int{1, len(p.code) - fork}
	}
}

// matches reports whether the pattern matches a part of a text of ASCII characters.
func (p *program) matches(text string) bool {
	states := &stateSet{program: p, length: len(text)}
	states.begin(0)
	for i := range len(text) + 1 {
		states.add(0) // the match may begin at every position
		if states.final {
			return true
		}
		if i == len(text) {
			break
		}
		now := states.reading
		states.begin(i + 1)
		for _, at := range now {
			if p.code[at].class[text[i]] {
				states.add(at + 1)
			}
		}
	}
	return false
}

// stateSet is the set of states at a position of the text.
type stateSet struct {
	*program
	length   int
	position int
	seen     []bool
	reading  []int // the states that read the next byte
	final    bool
}

// begin empties the set for a position.
func (s *stateSet) begin(position int) {
	s.position, s.reading, s.final = position, nil, false
	s.seen = make([]bool, len(s.code))
}

// add adds a state, and those that follow it without reading.
func (s *stateSet) add(first int) {
	for todo := []int{first}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if s.seen[at] {
			continue
		}
		s.seen[at] = true
		switch i := s.code[at]; {
		case i.final:
			s.final = true
		case i.class != nil:
			s.reading = append(s.reading, at)
		case i.at == '^' && s.position == 0, i.at == '$' && s.position == s.length:
			todo = append(todo, at+1)
		default:
			for _, jump := range i.jumps {
				todo = append(todo, at+jump)
			}
		}
	}
}
