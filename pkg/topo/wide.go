package topo

import "slices"

// sheet is a wide picture in the making: the host at the left, what its cables lead to at the
// right.
type sheet struct {
	*plan
	hostWidth   int
	left, right []row
}

// cableWidth is the room for cables between the host and the boxes.
const cableWidth = 8

func (p *plan) wide() []row {
	s := &sheet{plan: p, hostWidth: p.width / 2}
	if p.onlyLists() {
		s.hostWidth = p.width * 2 / 5
	}
	h := &p.view.Host
	s.left = append(s.left, top(text("host "+h.Name, name), nil, s.hostWidth))
	for _, l := range hostLines(h, s.hostWidth-4) {
		s.left = append(s.left, side(l, s.hostWidth))
	}
	for i := range p.bays {
		s.bay(&p.bays[i])
	}
	s.left = append(s.left, bottom(s.hostWidth))
	for i := range p.alone {
		s.alone(&p.alone[i])
	}
	return s.join()
}

// onlyLists: no box needs the room that a list could use.
func (p *plan) onlyLists() bool {
	lists := 0
	for i := range p.bays {
		if !p.bays[i].listed && len(p.bays[i].groups) > 0 {
			return false
		}
		if p.bays[i].listed {
			lists++
		}
	}
	return lists > 0 && len(p.alone) == 0
}

// join puts the two halves side by side.
func (s *sheet) join() []row {
	var rows []row
	for i := range max(len(s.left), len(s.right)) {
		var l, r row
		if i < len(s.left) {
			l = s.left[i]
		}
		if i < len(s.right) {
			r = s.right[i]
		}
		rows = append(rows, line(l.fit(s.hostWidth), r))
	}
	return rows
}

func (s *sheet) boxWidth() int { return s.width - s.hostWidth - cableWidth }

// inBay is a line of the host with a line of a bay in it; without a bridge there are no walls.
func (s *sheet) inBay(y *bay, content row) row {
	if y.bridge == nil {
		return side(content, s.hostWidth)
	}
	return side(side(content, s.hostWidth-4), s.hostWidth)
}

// socketRow is such a line with a socket in the wall and a cable that leaves the host.
func (s *sheet) socketRow(y *bay, label row, end cell, out row) row {
	room := s.hostWidth - 6
	if y.bridge != nil {
		room -= 2
	}
	r := s.inBay(y, line(fill(" ", room-len(label), plain), label.fit(min(len(label), room))))
	at := s.hostWidth - 3
	r[at], r[at+1], r[at+2] = end, out[0], out[1]
	return r
}

// leave is how a cable passes the wall of the host.
func leave(sign, crossing rune, t tone) row { return row{{sign, t}, {crossing, frame}} }

func (s *sheet) bay(y *bay) {
	if y.bridge != nil {
		s.left = append(s.left, side(bayTop(y.bridge, s.hostWidth-4), s.hostWidth))
		for _, l := range slices.Concat(bayLines(y.bridge, s.hostWidth-8), y.policyLines(s.hostWidth-8)) {
			s.left = append(s.left, s.inBay(y, l))
		}
		for i := range y.bridge.Ports {
			s.port(y, &y.bridge.Ports[i])
		}
	}
	nameWidth := y.nameWidth()
	for i := range y.groups {
		g := &y.groups[i]
		if !y.listed {
			s.group(y, g)
			continue
		}
		for _, a := range g.ends {
			s.listed(y, a, g.listed(a, nameWidth))
		}
	}
	if y.bridge != nil {
		s.left = append(s.left, side(bottom(s.hostWidth-4), s.hostWidth))
	}
}

// down makes the left half n lines long.
func (s *sheet) down(y *bay, n int) {
	for len(s.left) < n {
		s.left = append(s.left, s.inBay(y, nil))
	}
}

// beside makes the right half as long as the left.
func (s *sheet) beside() {
	for len(s.right) < len(s.left) {
		s.right = append(s.right, nil)
	}
}

func (s *sheet) port(y *bay, p *Port) {
	s.down(y, len(s.right))
	s.beside()
	end, wall, out := socket(p.Up && p.Carrier), leave('═', '╪', uplink), text("═══► ", uplink)
	if !p.Uplink {
		wall, out = leave('─', '┼', cable), text("──── ", cable)
	}
	far := text(s.portText(y.bridge, p), plain)
	s.left = append(s.left, s.socketRow(y, text(p.Name, plain), end, wall))
	s.right = append(s.right, line(out, far).fit(min(len(out)+len(far), s.width-s.hostWidth)))
}

// group draws a namespace's box so that each of its sockets is level with one of the bay.
func (s *sheet) group(y *bay, g *group) {
	rows, sockets := g.box(s.boxWidth())
	first := 0
	for sockets[first] == nil {
		first++
	}
	s.down(y, len(s.right)+first)
	for len(s.right)+first < len(s.left) {
		s.right = append(s.right, nil)
	}
	for i, r := range rows {
		a := sockets[i]
		if a == nil {
			s.right = append(s.right, line(fill(" ", cableWidth, plain), r))
			continue
		}
		s.down(y, len(s.right))
		label, end := hostSocket(a)
		s.left = append(s.left, s.socketRow(y, label, end, wall(a)))
		s.right = append(s.right, line(wire(a, cableWidth), r))
	}
}

// wall is where an attachment's cable leaves the host.
func wall(a *Attachment) row {
	if a.HostLink == nil {
		return leave('╌', '┼', wrong)
	}
	return leave(wire(a, cableWidth)[0].r, '┼', cable)
}

func (s *sheet) listed(y *bay, a *Attachment, what row) {
	s.down(y, len(s.right))
	s.beside()
	label, end := hostSocket(a)
	s.left = append(s.left, s.socketRow(y, label, end, wall(a)))
	room := s.width - s.hostWidth - 3
	s.right = append(s.right, line(wire(a, 1), text("● ", cable), what.fit(min(len(what), room))))
}

func (s *sheet) alone(g *group) {
	rows, _ := g.box(s.boxWidth())
	for _, r := range rows {
		s.right = append(s.right, line(fill(" ", cableWidth, plain), r))
	}
}
