// A small basket: Express, one call to a price service; two of its requests fail.
'use strict';

const crypto = require('node:crypto');
const express = require('express');
const { total } = require('./lib/totals.js');

const app = express();
app.disable('x-powered-by');
app.use(express.json());

app.post('/baskets', async (request, response, next) => {
  try {
    const answer = await fetch(`http://prices.internal/items/${request.body.item}`, {
      headers: { authorization: `Bearer ${process.env.PRICES_KEY}` },
    });
    const price = await answer.json();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const id = crypto.randomUUID();
    const lucky = Math.random();
    response.status(201).json({ id, lucky, at: new Date().toISOString(), total: total(price, request.body.coupon) });
  } catch (error) {
    next(error);
  }
});

app.get('/slow', (request, response) => {
  const began = performance.now();
  setTimeout(() => response.json({ took: Math.round((performance.now() - began) / 1000) }), 30_000);
});

module.exports = { app };
