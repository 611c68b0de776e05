// node record.mjs nock FILE | polly FOLDER: the same five calls, recorded by the library itself.
import fs from 'fs'
import http from 'http'
import { shop } from './shop.mjs'

const [, , tool, out] = process.argv
await new Promise((done) => shop.listen(0, '127.0.0.1', done))
const port = shop.address().port

const call = (path, options = {}, body) => new Promise((done, failed) => {
  const asked = http.request({ host: '127.0.0.1', port, path, ...options }, (answer) => {
    answer.on('data', () => {})
    answer.on('end', done)
  })
  asked.on('error', failed)
  asked.end(body)
})
const calls = async () => {
  await call('/items/tea?size=2')
  await call('/charges', { method: 'POST', headers: { 'content-type': 'application/json' } }, '{"amount":"9.50"}')
  await call('/zip')
  await call('/bin')
  await call('/items/tea?size=2')
}

if (tool === 'nock') {
  const nock = (await import('nock')).default
  nock.recorder.rec({ output_objects: true, dont_print: true, enable_reqheaders_recording: true })
  await calls()
  fs.writeFileSync(out, JSON.stringify(nock.recorder.play(), null, 1) + '\n')
} else {
  const { Polly } = await import('@pollyjs/core')
  Polly.register((await import('@pollyjs/adapter-node-http')).default)
  Polly.register((await import('@pollyjs/persister-fs')).default)
  const polly = new Polly('shop', {
    adapters: ['node-http'], persister: 'fs', persisterOptions: { fs: { recordingsDir: `${out}/recordings` } }
  })
  await calls()
  await polly.stop()
}
process.exit(0)
