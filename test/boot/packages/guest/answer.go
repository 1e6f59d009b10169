package main

import (
	"io"
	"net"
)

// answer is a server of UDP and of TCP at an address.
func answer(address string) error {
	datagrams, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	streams, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := streams.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	text := make([]byte, 64)
	for {
		n, from, err := datagrams.ReadFrom(text)
		if err == nil {
			_, err = datagrams.WriteTo(text[:n], from)
		}
		if err != nil && n == 0 {
			return err
		}
	}
}
