// The service whose answers are recorded: JSON, gzip, bytes that are no text, and a body with its keys in its own order.
import http from 'http'
import zlib from 'zlib'

export const shop = http.createServer((asked, answer) => {
  let body = ''
  asked.on('data', (piece) => { body += piece })
  asked.on('end', () => {
    if (asked.url.startsWith('/items')) {
      answer.setHeader('content-type', 'application/json')
      answer.end(JSON.stringify({ sku: 'tea', left: 3 }))
    } else if (asked.url.startsWith('/zip')) {
      answer.setHeader('content-encoding', 'gzip')
      answer.setHeader('content-type', 'application/json')
      answer.end(zlib.gzipSync('{"z":1}'))
    } else if (asked.url.startsWith('/bin')) {
      answer.setHeader('content-type', 'application/octet-stream')
      answer.end(Buffer.from([0, 255, 254, 1]))
    } else {
      answer.statusCode = 201
      answer.setHeader('content-type', 'application/json')
      answer.end('{"b":1, "a":' + JSON.stringify(body) + '}')
    }
  })
})

if (/^[0-9]+$/.test(process.argv[2] ?? '')) shop.listen(Number(process.argv[2]), '127.0.0.1')
