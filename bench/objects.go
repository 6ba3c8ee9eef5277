package main

func (b *bench) records(engine) error         { return nil }
func (b *bench) objects(engine) error         { return nil }
func (b *bench) queries(engine) error         { return nil }
func madeUpRecords(seed uint64, n int) []byte { return nil }
