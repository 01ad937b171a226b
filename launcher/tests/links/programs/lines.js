// Two writes a line.
const [host, port, name] = process.argv.slice(-3);
const socket = require("net").connect({ host, port: Number(port) }, async () => {
  socket.write(name);
  socket.write("\n");
  for (let n = 0; n < 20; n++) {
    socket.write(`bob: ${n} bo`);
    socket.write("b: hi\n");
    await new Promise((done) => setTimeout(done, 10));
  }
  socket.end();
});
socket.resume();
