package link

// SurveyDump is surveyDump for a dump that has nothing but an error to give.
func SurveyDump(dump func() error) error {
	_, err := surveyDump("nothing", func() ([]struct{}, error) { return nil, dump() })
	return err
}
