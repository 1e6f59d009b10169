package link

// SurveyDump is surveyDump for a dump that has nothing but an error to give.
func SurveyDump(dump func() error) error {
	_, err := surveyDump("nothing", func() ([]struct{}, error) { return nil, dump() })
	return err
}

// UnplugTogetherBut is UnplugTogether with a choice of numbers, and with something that happens
// when the group is full.
func (h *Host) UnplugTogetherBut(cables []Cable, pick func() uint32, full func(number uint32)) error {
	g := &group{host: h, pick: pick}
	g.full = func() { full(g.number) }
	if err := g.find(cables); err != nil {
		return err
	}
	if err := g.choose(); err != nil {
		return err
	}
	return g.delete()
}

// PortsOf is the number of ports that Room judges.
func (h *Host) PortsOf(b *Bridge) (int, error) { return h.ports(b) }
