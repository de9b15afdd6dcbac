'use strict';

// @aws-sdk/lib-dynamodb over a stock client.

const sdk = require('@aws-sdk/client-dynamodb');
const { DynamoDBDocument } = require('@aws-sdk/lib-dynamodb');

const { decode, outcome } = require('./outcome.js');

const documents = DynamoDBDocument.from(new sdk.DynamoDBClient({}));

exports.handler = ({ operation, input }) => outcome(documents[operation](decode(input)), sdk);
