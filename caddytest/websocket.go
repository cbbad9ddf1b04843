package caddytest

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// WebSocketEcho accepts an upgrade and sends back what comes. For the protocol
// "websocket" it speaks RFC 6455 as far as an echo needs (frames are returned
// unmasked, pings become pongs, a close ends it); of any other protocol it
// returns the bytes.
func WebSocketEcho() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol := r.Header.Get("Upgrade")
		if protocol == "" {
			w.Header().Set("Upgrade", "websocket")
			http.Error(w, "this function wants an upgrade", http.StatusUpgradeRequired)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer conn.Close()
		isWebSocket := strings.EqualFold(protocol, "websocket")
		head := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n"
		if isWebSocket {
			head += "Sec-WebSocket-Accept: " + acceptKey(r.Header.Get("Sec-WebSocket-Key")) + "\r\n"
		}
		if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
			return
		}
		if !isWebSocket {
			_, _ = io.Copy(conn, rw)
			return
		}
		for echoFrame(conn, rw.Reader) == nil {
		}
	})
}

// acceptKey answers a handshake's key, RFC 6455 section 4.2.2.
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Opcodes of RFC 6455 section 5.2, and the largest frame that is echoed.
const (
	opClose = 8
	opPing  = 9
	opPong  = 10

	maxFrame = 1 << 20
)

var errClosed = errors.New("closed by the peer")

// echoFrame reads one masked frame and returns it without the mask.
func echoFrame(w io.Writer, r *bufio.Reader) error {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	opcode := head[0] & 0x0f
	payload, err := readPayload(r, head[1])
	if err != nil {
		return err
	}
	switch opcode {
	case opPong:
		return nil
	case opPing:
		head[0] = head[0]&0xf0 | opPong
	}
	if _, err := w.Write(appendFrame(nil, head[0], payload)); err != nil {
		return err
	}
	if opcode == opClose {
		return errClosed
	}
	return nil
}

// readPayload reads the rest of a frame whose second byte is given.
func readPayload(r *bufio.Reader, second byte) ([]byte, error) {
	length := uint64(second & 0x7f)
	var ext [8]byte
	switch length {
	case 126:
		if _, err := io.ReadFull(r, ext[:2]); err != nil {
			return nil, err
		}
		length = uint64(binary.BigEndian.Uint16(ext[:2]))
	case 127:
		if _, err := io.ReadFull(r, ext[:]); err != nil {
			return nil, err
		}
		length = binary.BigEndian.Uint64(ext[:])
	}
	if length > maxFrame {
		return nil, fmt.Errorf("a frame of %d bytes is over the echo's limit of %d", length, maxFrame)
	}
	var mask [4]byte
	if second&0x80 != 0 {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return nil, err
		}
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return payload, nil
}

// appendFrame appends an unmasked frame with the given first byte.
func appendFrame(b []byte, first byte, payload []byte) []byte {
	b = append(b, first)
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}
