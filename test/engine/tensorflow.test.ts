import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { TensorflowBackend } from '../../src/engine/tensorflow/tensorflowBackend.ts';
import { holdToReference } from './backendReference.ts';

tf.enableProdMode();
await tf.setBackend('cpu');

holdToReference('TensorFlow', request => Promise.resolve(new TensorflowBackend(tf, request)));
