const net = require('net');
const server = net.createServer((socket) => socket.on('data', (data) => socket.end('echo ' + data)));
server.listen(0, '127.0.0.1', () => {
  const client = net.connect(server.address().port, '127.0.0.1', () => client.write('hello'));
  client.on('data', (data) => console.log(data.toString()));
  client.on('close', () => server.close(() => console.log('closed')));
});
