'use strict';

// @aws-sdk/client-dynamodb, as a handler deploys it: no region, endpoint or credentials.

const sdk = require('@aws-sdk/client-dynamodb');

const { decode, outcome } = require('./outcome.js');

const dynamodb = new sdk.DynamoDB({});

exports.handler = ({ operation, input }) => outcome(dynamodb[operation](decode(input)), sdk);
