import socket, sys, threading


def listen(port):
    l = socket.socket(socket.AF_INET)
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind(("", port))
    l.listen(200)
    return l


def serve(port, answer):
    l = listen(port)
    while True:
        connection, _ = l.accept()
        try:
            connection.sendall(answer().encode())
        except OSError:
            pass
        connection.close()


def reaches(address):
    try:
        socket.create_connection((address, 80), 0.8).close()
        return True
    except OSError:
        return False


# Port 80 answers with what the container reaches, port 81 at once.
others = [argument.split("=") for argument in sys.argv[1:]]
threading.Thread(target=serve, args=(81, lambda: "in"), daemon=True).start()
serve(80, lambda: " ".join(["in"] + [name for name, address in others if reaches(address)]))
