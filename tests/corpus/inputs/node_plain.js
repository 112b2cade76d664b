const crypto = require('crypto'), fs = require('fs'), zlib = require('zlib');
console.log(crypto.createHash('sha256').update('vitrine').digest('hex'));
const packed = zlib.gzipSync(Buffer.alloc(100000, 'abc'));
console.log(zlib.gunzipSync(packed).length);
fs.writeFileSync('out.txt', 'written\n');
fs.readFile('out.txt', 'utf8', (error, text) => { console.log(error, text.trim()); setTimeout(() => console.log('timer'), 20); });
