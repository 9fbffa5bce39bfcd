// One end of a connection by Node's `ws`, driven by remotes/node_ws.py: settings as JSON in the
// first argument, commands as lines of JSON on stdin, events as lines of JSON on stdout.
'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');
const readline = require('readline');
const { WebSocket, WebSocketServer } = require('ws');

const settings = JSON.parse(process.argv[2]);

function tell(event, values) {
  process.stdout.write(JSON.stringify({ event, ...values }) + '\n');
}

let ws;

function drive() {
  ws.on('message', (data, binary) => tell('message', { data: data.toString('base64'), binary }));
  ws.on('pong', (data) => tell('pong', { data: data.toString('base64') }));
  ws.on('close', (code, reason) => tell('close', { code, reason: reason.toString() }));
  ws.on('error', (error) => console.error(error)); // 'close' follows
}

function obey(line) {
  const command = JSON.parse(line);
  const data = Buffer.from(command.data, 'base64');
  if (command.command === 'send') ws.send(data, { binary: command.binary, fin: command.fin });
  else if (command.command === 'ping') ws.ping(data);
  else ws.close(command.code, command.reason);
}

function serve() {
  const pem = settings.certificate && fs.readFileSync(settings.certificate);
  const server = pem ? https.createServer({ key: pem, cert: pem }) : http.createServer();
  const handleProtocols = (offered) => settings.subprotocols.find((name) => offered.has(name));
  new WebSocketServer({ server, handleProtocols }).on('connection', (connection) => {
    ws = connection;
    drive();
    tell('open', { subprotocol: ws.protocol });
  });
  server.listen(0, '127.0.0.1', () => tell('listening', { port: server.address().port }));
}

function connect() {
  const ca = settings.ca && fs.readFileSync(settings.ca);
  ws = new WebSocket(settings.url, settings.subprotocols, ca ? { ca } : {});
  drive();
  ws.on('open', () => tell('open', { subprotocol: ws.protocol }));
}

readline
  .createInterface({ input: process.stdin })
  .on('line', obey)
  .on('close', () => process.exit()); // the test is gone
if (settings.role === 'server') serve();
else connect();
