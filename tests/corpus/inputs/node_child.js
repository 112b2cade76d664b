const { spawn } = require('child_process');
if (process.argv[2] === 'child') {
  process.stdin.on('data', (data) => process.stdout.write(data.toString().toUpperCase()));
  process.stdin.on('end', () => process.exit(7));
} else {
  const child = spawn(process.execPath, [__filename, 'child']);
  child.stdout.on('data', (data) => console.log('child said', data.toString().trim()));
  child.on('close', (code) => console.log('child ended', code));
  child.stdin.end('hello\n');
}
