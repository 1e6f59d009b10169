package topo

import "fmt"

// narrow draws the host above and the namespaces below it. The lines of the attachments leave each bridge downwards, side by
// side; the rightmost reaches its box first, so that none crosses another.
func (p *plan) narrow() []row {
	var rows []row
	title := text("host "+p.view.Host.Name, name)
	facts := hostLines(&p.view.Host, p.width-4)
	if len(p.sections) == 0 {
		rows = append(rows, p.hostBox(title, facts, nil)...)
	}
	for i := range p.sections {
		// The lines of a second bridge cannot pass the boxes of the first: the host continues below.
		rows = append(rows, p.hostBox(title, facts, &p.sections[i])...)
		rows = append(rows, p.below(&p.sections[i])...)
		title, facts = line(text("host "+p.view.Host.Name, name), text(", continued", plain)), nil
	}
	for i := range p.alone {
		box, _ := p.alone[i].box(p.width - 4)
		for _, r := range box {
			rows = append(rows, line(text("    ", plain), r))
		}
	}
	return rows
}

func (y *section) attachments() []*Attachment {
	var all []*Attachment
	for i := range y.groups {
		all = append(all, y.groups[i].ends...)
	}
	return all
}

// lines returns the number of lines that leave a section downwards; a list has one for all.
func (y *section) lines() int {
	n := len(y.attachments())
	if y.listed {
		return 1
	}
	return n
}

// column returns the column of line c of n.
func column(c, n int) int { return 4 + 2*(n-1-c) }

func (p *plan) hostBox(title row, facts []row, y *section) []row {
	rows := []row{top(title, nil, p.width)}
	for _, f := range facts {
		rows = append(rows, side(f, p.width))
	}
	end := bottom(p.width)
	if y != nil {
		for _, r := range p.bridgeBox(y) {
			rows = append(rows, side(r, p.width))
		}
		p.pass(end, y, 0)
	}
	return append(rows, end)
}

// pass draws the lines from c on through a row that begins at the left of the picture.
func (p *plan) pass(r row, y *section, c int) {
	for n := y.lines(); c < n; c++ {
		at := &r[column(c, n)]
		if at.r == '─' {
			at.r = '┼'
			continue
		}
		*at = cell{'│', veth}
	}
}

// bridgeBox returns the box of a bridge with its ports, for the inside of the host's box.
func (p *plan) bridgeBox(y *section) []row {
	width := p.width - 4
	var inside []row
	if y.bridge != nil {
		inside = append(bridgeLines(y.bridge, width-4), y.policyLines(width-4)...)
		for i := range y.bridge.Ports {
			inside = append(inside, p.narrowPort(y.bridge, &y.bridge.Ports[i]).wrap(width-4, 4)...)
		}
	}
	inside = append(inside, y.narrowSockets()...)
	if y.bridge == nil {
		for i := range inside {
			inside[i] = line(text("  ", plain), inside[i])
		}
		return inside
	}
	rows := []row{bridgeTop(y.bridge, width)}
	for _, r := range inside {
		rows = append(rows, side(r, width))
	}
	end := bottom(width)
	for c, n := 0, y.lines(); c < n; c++ {
		end[column(c, n)-2].r = '┼'
	}
	return append(rows, end)
}

func (p *plan) narrowPort(b *Bridge, port *Port) row {
	out := text(" ═► ", uplink)
	if !port.Uplink {
		out = text(" ── ", veth)
	}
	return line(row{socket(port.Up && port.Carrier)}, text(" "+port.Name, plain), out, text(p.view.FarEnd(b, port), plain))
}

// narrowSockets returns the sockets of a section, that of the first box last.
func (y *section) narrowSockets() []row {
	attached := y.attachments()
	if y.listed {
		return []row{line(row{socket(true)}, text(fmt.Sprintf(" %d attachments", len(attached)), plain))}
	}
	var rows, before []row
	for i := len(attached) - 1; i >= 0; i-- {
		label, end := hostSocket(attached[i])
		rows = append(rows, line(line(before...), row{end}, text(" ", plain), label))
		before = append(before, text("│ ", veth))
	}
	return rows
}

// below returns the boxes of a section.
func (p *plan) below(y *section) []row {
	if y.lines() == 0 {
		return nil
	}
	if y.listed {
		return p.narrowList(y)
	}
	n := y.lines()
	at := 4 + 2*n
	var rows []row
	next := 0
	for i := range y.groups {
		box, sockets := y.groups[i].box(p.width - at)
		for j, r := range box {
			lead := fill(" ", at, plain)
			p.pass(lead, y, next)
			if a := sockets[j]; a != nil {
				col := column(next, n)
				copy(lead[col:], line(text("└", veth), wire(a, at-col-1)))
				next++
			}
			rows = append(rows, line(lead, r))
		}
	}
	return rows
}

func (p *plan) narrowList(y *section) []row {
	var rows []row
	width := y.nameWidth(p.width)
	for i := range y.groups {
		if title := y.heading(i); title != nil {
			title = line(text("    │  ", veth), title)
			rows = append(rows, title.fit(min(len(title), p.width)))
		}
		for _, a := range y.groups[i].ends {
			what := y.groups[i].listed(a, width)
			lead := line(text("    ├", veth), wire(a, 1), text("● ", veth))
			for _, r := range what.wrap(p.width-len(lead), 2) {
				rows, lead = append(rows, line(lead, r)), text("    │   ", veth)
			}
		}
	}
	for i := len(rows) - 1; ; i-- {
		if rows[i][4].r == '├' {
			rows[i][4].r = '└'
			return rows
		}
		rows[i][4].r = ' '
	}
}
